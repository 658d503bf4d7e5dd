"""A small shop of several services, to try Strayline on: see ``strayline demo``."""
