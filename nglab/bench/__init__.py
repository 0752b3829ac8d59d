"""`nglab bench`: what a step costs, beside what a user would write or install instead."""
