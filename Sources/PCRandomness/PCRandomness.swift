// PCRandomness
