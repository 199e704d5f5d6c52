"""Choose exemplars in pairs, recheck the choice, and plan rounds until the quotas are met."""
