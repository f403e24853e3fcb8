"""What a training looks like: events become a sentence, curves and previews, and these become nodes of the scene."""
