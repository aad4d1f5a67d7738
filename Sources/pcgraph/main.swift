print("pcgraph")
