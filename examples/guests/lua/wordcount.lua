-- Counts words: `run` makes a table of one piece of text, `merge` combines several tables into one.
--
-- A word is a maximal run of ASCII letters and digits. A table has a line `WORD COUNT` for each word, in the order of the words'
-- bytes. `merge` gives the same result for any grouping and order of its tables.

local function written(counts)
  local words = {}
  for word in pairs(counts) do words[#words + 1] = word end
  table.sort(words)
  local lines = {}
  for at, word in ipairs(words) do lines[at] = word .. " " .. counts[word] .. "\n" end
  return table.concat(lines)
end

function run(inputs)
  local counts = {}
  for word in inputs[1]:gmatch("%w+") do counts[word] = (counts[word] or 0) + 1 end
  return written(counts)
end

function merge(tables)
  local counts = {}
  for number, text in ipairs(tables) do
    local line = 0
    for row in text:gmatch("([^\n]*)\n") do
      line = line + 1
      local word, count = row:match("^(%w+) ([1-9]%d*)$")
      if not word then error(("table %d: line %d is not `WORD COUNT`"):format(number - 1, line), 0) end
      counts[word] = (counts[word] or 0) + math.tointeger(count)
    end
  end
  return written(counts)
end
