// PCDatasets
