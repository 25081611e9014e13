"""x"""

GROWTH = ()
