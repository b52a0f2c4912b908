"""One training on many devices and processes, on data larger than memory, kept on disk."""

from jaxopt_edu.parallel.peers import PeerLost

__all__ = ["PeerLost"]
