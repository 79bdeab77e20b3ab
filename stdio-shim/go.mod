module mcp-fleet.dev/stdio-shim

go 1.26
