;; Acts as a user of Emacs would, after the README's recipe was loaded: prints one line of JSON for each thing seen.
;; In the environment: VIEWS, a file of the program; DUMPS, its dumps, separated by blanks.
(setq make-backup-files nil auto-save-default nil create-lockfiles nil)
(require 'package)
(package-initialize)
(require 'eglot)
(require 'json)
(require 'flymake)

(defun say (step data)
  (princ (concat (json-encode `((step . ,step) (data . ,data))) "\n")))

(defun wait-for (what is-there)
  (let ((end (+ (float-time) 30)) found)
    (while (not (or (setq found (funcall is-there)) (> (float-time) end)))
      (accept-process-output nil 0.05))
    (or found (progn (message "waited in vain for %s" what) (kill-emacs 1)))))

(defun warnings ()
  (flymake-start)
  (seq-filter (lambda (diagnostic) (memq (flymake-diagnostic-type diagnostic) '(eglot-warning :warning)))
              (flymake-diagnostics)))

(defun line-of (diagnostic)
  (line-number-at-pos (flymake-diagnostic-beg diagnostic)))

(setq eglot-sync-connect 30
      eglot-send-changes-idle-time 0.05
      ;; The user picks the action with this name.
      completing-read-function
      (lambda (_prompt collection &rest _)
        (car (seq-find (lambda (item) (string-match-p "Go to holder" (car item))) collection)))
      last-nonmenu-event ?x)

(find-file (getenv "VIEWS"))
(call-interactively #'eglot)
(say "version" (format "%s" emacs-version))
(wait-for "the server" #'eglot-current-server)
(apply #'heldby-load (split-string (getenv "DUMPS")))
(wait-for "a warning" #'warnings)
(let* ((found (car (warnings))) (line (line-of found)))
  (say "warning" `((line . ,line) (message . ,(flymake-diagnostic-text found))))
  (goto-char (1+ (flymake-diagnostic-beg found)))
  (let (hovered)
    (eglot-hover-eldoc-function (lambda (text &rest _) (setq hovered (or text ""))))
    (wait-for "the hover" (lambda () hovered))
    (say "hover" hovered))
  ;; A line above: the mark moves.
  (save-excursion (goto-char (point-min)) (insert "# a new first line\n"))
  (run-with-timer 0 nil #'ignore)
  (eglot--signal-textDocument/didChange)
  (wait-for "the moved warning"
            (lambda () (seq-find (lambda (moved) (= (line-of moved) (1+ line))) (warnings))))
  (say "moved" `((line . ,(1+ line))))
  (goto-char (1+ (flymake-diagnostic-beg (car (warnings)))))
  (eglot-code-actions (point) (flymake-diagnostic-end (car (warnings))) nil t)
  (wait-for "the cursor" (lambda () (/= (line-number-at-pos) (1+ line))))
  (say "holder" `((line . ,(line-number-at-pos)) (text . ,(buffer-substring (line-beginning-position) (line-end-position))))))
(eglot-shutdown (eglot-current-server))
(say "end" t)
(set-buffer-modified-p nil)
(kill-emacs 0)
