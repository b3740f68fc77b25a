"""`heapmark gate`: did this change make any workload slower, fatter or wrong?"""
