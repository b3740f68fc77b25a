-- lua script.lua OBJECTS KEPT LINES: tables that replace one another, then strings.
local objects, kept, count = tonumber(arg[1]), tonumber(arg[2]), tonumber(arg[3])
local live = {}
for i = 1, objects do
  live[i % kept] = {name = "n" .. i, value = i, pair = {i}}
end
local lines = {}
for i = 1, count do lines[#lines + 1] = ("line %05d: %s"):format(i, ("x"):rep(i % 60)) end
print(#table.concat(lines), live[77].name)
