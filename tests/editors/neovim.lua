-- Acts as a user of Neovim would, after the README's recipe was loaded: prints one line of JSON for each thing seen.
-- In the environment: VIEWS, a file of the program; DUMPS, its dumps, separated by blanks.
local function say(step, data)
  io.stdout:write(vim.fn.json_encode({ step = step, data = data }) .. "\n")
end

local function fail(reason)
  io.stderr:write(reason .. "\n" .. vim.fn.execute("messages") .. "\n")
  vim.cmd("cquit 1")
end

local function wait_for(what, is_there)
  if not vim.wait(30000, is_there, 20) then
    fail("waited in vain for " .. what)
  end
end

local function warning()
  for _, diagnostic in ipairs(vim.diagnostic.get(0)) do
    if diagnostic.severity == vim.diagnostic.severity.WARN then
      return diagnostic
    end
  end
end

vim.cmd("edit " .. os.getenv("VIEWS"))
say("version", vim.fn.matchstr(vim.fn.execute("version"), "v[0-9.]*"))
wait_for("the server", function()
  return #vim.lsp.buf_get_clients(0) > 0
end)
vim.wait(200)
vim.cmd("HeldbyLoad " .. os.getenv("DUMPS"))
wait_for("a warning", warning)
local found = warning()
say("warning", { line = found.lnum + 1, column = found.col + 1, message = found.message, source = found.source })

vim.api.nvim_win_set_cursor(0, { found.lnum + 1, found.col + 1 })
vim.lsp.buf.hover()
local hovered
wait_for("the hover", function()
  for _, window in ipairs(vim.api.nvim_list_wins()) do
    if vim.api.nvim_win_get_config(window).relative ~= "" then
      hovered = table.concat(vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(window), 0, -1, false), "\n")
      return true
    end
  end
end)
say("hover", hovered)

-- A line above: the mark moves.
vim.api.nvim_buf_set_lines(0, 0, 0, false, { "# a new first line" })
wait_for("the moved warning", function()
  return warning() and warning().lnum == found.lnum + 1
end)
say("moved", { line = warning().lnum + 1 })

vim.api.nvim_win_set_cursor(0, { found.lnum + 2, found.col + 1 })
-- The user picks the action with this name.
vim.ui.select = function(items, options, choose)
  for index, item in ipairs(items) do
    if options.format_item(item):match("Go to holder") then
      return choose(item, index)
    end
  end
  fail("there is no such action")
end
vim.lsp.buf.code_action()
wait_for("the cursor", function()
  return vim.api.nvim_win_get_cursor(0)[1] ~= found.lnum + 2
end)
say("holder", { line = vim.api.nvim_win_get_cursor(0)[1], text = vim.api.nvim_get_current_line() })

vim.lsp.stop_client(vim.lsp.get_active_clients())
wait_for("the end of the server", function()
  return #vim.lsp.get_active_clients() == 0
end)
say("end", true)
vim.cmd("qall!")
