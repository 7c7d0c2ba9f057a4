"""A trace as a page to look at: `page.html`, `page.css` and `page.js` and the trace, in one file."""
