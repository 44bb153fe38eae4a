"""Certificates: loading authorities, issuing serving and client certificates, building SSL contexts."""

from capim.certs.pem import CertificateError, check_key_pair

__all__ = ["CertificateError", "check_key_pair"]
