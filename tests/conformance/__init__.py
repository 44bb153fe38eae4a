"""One list of cases, run against the fake API server and against a real one; the differences are listed."""
