"""The management API: a thin client, informers, the queues' event loop shell and leader election."""
