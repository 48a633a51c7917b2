"""What `versus` is made of."""
