// PCGraphs
