"""From films and photographs to a captioned dataset: frames, faces, captions, checks, dataset."""
