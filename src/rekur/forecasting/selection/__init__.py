"""Selection of the model that forecasts: scores of windows, paired comparisons and the verdict."""
