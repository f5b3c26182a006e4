"""Where a group stands in a topic, told to an operator and changed by one."""
