"""Values: frozen dataclasses that are pytrees; their names, labels, keys, spaces, arrays."""
