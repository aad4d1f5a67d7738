// PCLearning
