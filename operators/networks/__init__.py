"""Networks written as Paddle layers, and the scripts that fill them. Nothing here is needed at run time."""
