"""The event loop's helpers: clocks and supervised tasks. The lowest layer with asyncio."""
