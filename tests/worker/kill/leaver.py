"""A trainer that hands its job back at once: a process as light as can be."""

import sys

YIELDED = 12

if __name__ == "__main__":
    sys.exit(YIELDED)
