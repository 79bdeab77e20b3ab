-- Health of an MCPServer for Argo CD: resource.customizations.health.mcp-fleet.dev_MCPServer in ConfigMap argocd-cm.
-- Ready and its reason decide, as everywhere else. Only a status about the newest generation counts.
local hs = { status = "Progressing", message = "Waiting for mcp-fleet-operator" }

if obj.status == nil or obj.status.conditions == nil then
  return hs
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  hs.message = "Waiting for mcp-fleet-operator to see the newest generation"
  return hs
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  conditions[condition.type] = condition
end
local ready = conditions["Ready"]
if ready == nil then
  return hs
end
hs.message = ready.reason .. ": " .. (ready.message or "")

local stalled = conditions["Stalled"]
if stalled ~= nil and stalled.status == "True" then
  hs.status = "Degraded"
  hs.message = stalled.reason .. ": " .. (stalled.message or "")
  return hs
end

if ready.status == "True" then
  hs.status = "Healthy"
  -- Argo CD does not wait for what is suspended on purpose, and does not call it broken.
  if ready.reason == "Suspended" then
    hs.status = "Suspended"
  end
  return hs
end

-- Reasons that pass by themselves; every other one needs somebody.
local passing = { Progressing = true, Pending = true, GuardBehind = true }
if ready.status == "False" and not passing[ready.reason] then
  hs.status = "Degraded"
end
return hs
