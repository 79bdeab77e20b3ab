module mcp-fleet.dev/e2e/images/silent

go 1.22
