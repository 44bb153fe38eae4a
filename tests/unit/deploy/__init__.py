"""Tests of what is deployed: manifests, templates, metadata."""
