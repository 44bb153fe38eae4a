"""Certificates: loading authorities, issuing serving and client certificates, building SSL contexts."""
