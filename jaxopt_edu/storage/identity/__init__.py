"""What a value is, so that another process can tell whether it is the same."""

from jaxopt_edu.storage.identity.prints import Fingerprint, fingerprint, fingerprints

__all__ = ["Fingerprint", "fingerprint", "fingerprints"]
