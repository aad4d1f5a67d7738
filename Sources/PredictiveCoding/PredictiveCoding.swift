// PredictiveCoding
