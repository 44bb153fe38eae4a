"""CAPIM measured beside Cluster API's Go provider in memory; see `__main__`."""
