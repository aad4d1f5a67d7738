// PCExperiments
