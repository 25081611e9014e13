"""The demo: Tollgate's main job on real input, checked to the cent."""
