"""Storage: values as JSON and back, fingerprints, run directories, files of trained models."""
