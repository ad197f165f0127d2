"""The PostgreSQL driver: protocol 3.x spoken by ourselves, over asyncio and over blocking sockets."""
