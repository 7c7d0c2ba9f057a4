"""A service that keeps notes: http.server, a thread for each connection, a file for each note."""

from notes.client import ask, visit
from notes.service import NotesServer

__all__ = ["NotesServer", "ask", "visit"]
