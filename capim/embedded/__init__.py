"""What `capim up` runs beside the coordinator: an embedded management API, the stand-in, the live view."""
