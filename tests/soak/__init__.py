"""An hour of churn with real controllers and clients that read, and what CAPIM grew by meanwhile."""
