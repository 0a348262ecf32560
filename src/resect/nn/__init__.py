"""Networks that more than one method uses."""
