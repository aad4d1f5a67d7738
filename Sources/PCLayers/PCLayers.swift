// PCLayers
