"""Messages that a ratings topic should not have, what each must become, and a topic that is sent all of them."""
