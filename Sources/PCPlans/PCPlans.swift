// PCPlans
