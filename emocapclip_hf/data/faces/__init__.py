"""Finding faces in pictures: detection, crops upright by the eyes, and how usable a crop is."""
