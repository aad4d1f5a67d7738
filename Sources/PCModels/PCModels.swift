// PCModels
