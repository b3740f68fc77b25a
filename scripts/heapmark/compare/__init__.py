"""`heapmark compare`: what differs between two contenders or two runs, and how sure that is."""
