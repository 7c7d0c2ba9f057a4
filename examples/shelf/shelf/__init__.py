"""A small key-value store on files, with a server, a client and an export."""

from shelf.client import Client
from shelf.export import export_sorted
from shelf.server import ShelfServer
from shelf.store import Shelf

__all__ = ["Client", "Shelf", "ShelfServer", "export_sorted"]
