"""What is written down of a workload cluster, and how it comes back. Pure: bytes in, bytes out.

A cluster's journal is a chain of frames. The first frame that counts is a base: all objects as they
were where the watch history begins, the history since then, all machines, etcd's membership. Frames
after it add the changes since. A frame's link is a digest over its bytes and the link before, so that
a frame which is damaged, missing or another cluster's is noticed, and costs this cluster alone.
"""
