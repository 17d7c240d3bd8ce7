"""What people see: server-rendered pages, small scripts and styles, texts in Russian and English."""
